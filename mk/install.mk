# SPDX-License-Identifier: GPL-2.0-or-later
# DESTDIR and PREFIX as in the GNU coding standards.

SBINDIR := $(DESTDIR)$(PREFIX)/sbin
BINDIR  := $(DESTDIR)$(PREFIX)/bin
MANDIR  := $(DESTDIR)$(PREFIX)/share/man
DOCDIR  := $(DESTDIR)$(PREFIX)/share/doc/ksplit
UNITDIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
USERDIR := $(DESTDIR)$(PREFIX)/lib/sysusers.d
TMPDIRS := $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
ETCDIR  := $(DESTDIR)$(SYSCONFDIR)/ksplit

.PHONY: install uninstall deb

## install: install programs, man pages, systemd's files, and a configuration where there is none (DESTDIR=, PREFIX=, SYSCONFDIR=)
install: all
	install -d $(SBINDIR) $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man8 $(DOCDIR)
	install -m 0755 $(BUILD)/ksplitd $(SBINDIR)/ksplitd
	install -m 0755 $(BUILD)/ksplit-status $(BINDIR)/ksplit-status
	install -m 0755 $(BUILD)/ksplit-doctor $(SBINDIR)/ksplit-doctor
	install -m 0755 $(BUILD)/ksplit-ca $(SBINDIR)/ksplit-ca
	install -m 0644 docs/man/ksplitd.8 $(MANDIR)/man8/ksplitd.8
	install -m 0644 tools/ksplit-ca/ksplit-ca.8 $(MANDIR)/man8/ksplit-ca.8
	install -m 0644 docs/man/ksplit.json.5 $(MANDIR)/man5/ksplit.json.5
	install -m 0644 tools/ksplit-status/ksplit-status.1 $(MANDIR)/man1/ksplit-status.1
	install -m 0644 tools/ksplit-doctor/ksplit-doctor.8 $(MANDIR)/man8/ksplit-doctor.8
	install -m 0644 docs/ksplit.json.example $(DOCDIR)/ksplit.json.example
	install -d $(UNITDIR) $(USERDIR) $(TMPDIRS)
	sed 's|@sbindir@|$(PREFIX)/sbin|; s|@bindir@|$(PREFIX)/bin|' packaging/systemd/ksplit.service > $(UNITDIR)/ksplit.service
	chmod 0644 $(UNITDIR)/ksplit.service
	install -m 0644 packaging/systemd/ksplit.socket $(UNITDIR)/ksplit.socket
	install -m 0644 packaging/systemd/ksplit.sysusers $(USERDIR)/ksplit.conf
	install -m 0644 packaging/systemd/ksplit.tmpfiles $(TMPDIRS)/ksplit.conf
	install -d -m 0755 $(ETCDIR)
	test -e $(ETCDIR)/ksplit.json || install -m 0644 docs/ksplit.json.example $(ETCDIR)/ksplit.json

## uninstall: remove what `make install` put there, but for the configuration
uninstall:
	rm -f $(SBINDIR)/ksplitd $(BINDIR)/ksplit-status $(MANDIR)/man8/ksplitd.8
	rm -f $(MANDIR)/man5/ksplit.json.5 $(MANDIR)/man1/ksplit-status.1
	rm -f $(SBINDIR)/ksplit-doctor $(MANDIR)/man8/ksplit-doctor.8
	rm -f $(DOCDIR)/ksplit.json.example $(UNITDIR)/ksplit.service $(UNITDIR)/ksplit.socket
	rm -f $(USERDIR)/ksplit.conf $(TMPDIRS)/ksplit.conf
	rm -f $(SBINDIR)/ksplit-ca $(MANDIR)/man8/ksplit-ca.8
	-rmdir $(DOCDIR) 2>/dev/null

## deb: a Debian package in build/ (needs dpkg-dev)
deb: all
	@packaging/debian/build $(BUILD)
