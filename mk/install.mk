# SPDX-License-Identifier: GPL-2.0-or-later
# DESTDIR and PREFIX as in the GNU coding standards.

SBINDIR := $(DESTDIR)$(PREFIX)/sbin
BINDIR  := $(DESTDIR)$(PREFIX)/bin
MANDIR  := $(DESTDIR)$(PREFIX)/share/man
DOCDIR  := $(DESTDIR)$(PREFIX)/share/doc/ksplit

.PHONY: install uninstall

## install: install programs, man pages and an example configuration (DESTDIR=, PREFIX=)
install: all
	install -d $(SBINDIR) $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man8 $(DOCDIR)
	install -m 0755 $(BUILD)/ksplitd $(SBINDIR)/ksplitd
	install -m 0755 $(BUILD)/ksplit-status $(BINDIR)/ksplit-status
	install -m 0644 docs/man/ksplitd.8 $(MANDIR)/man8/ksplitd.8
	install -m 0644 docs/man/ksplit.json.5 $(MANDIR)/man5/ksplit.json.5
	install -m 0644 tools/ksplit-status/ksplit-status.1 $(MANDIR)/man1/ksplit-status.1
	install -m 0644 docs/ksplit.json.example $(DOCDIR)/ksplit.json.example

## uninstall: remove what `make install` put there
uninstall:
	rm -f $(SBINDIR)/ksplitd $(BINDIR)/ksplit-status $(MANDIR)/man8/ksplitd.8
	rm -f $(MANDIR)/man5/ksplit.json.5 $(MANDIR)/man1/ksplit-status.1
	rm -f $(DOCDIR)/ksplit.json.example
	-rmdir $(DOCDIR) 2>/dev/null
