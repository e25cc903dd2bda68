# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system tests stand on: certificates, origins, clients, the daemon."""
