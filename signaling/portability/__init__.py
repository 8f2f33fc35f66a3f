"""Taking rooms along: archives that are signed and checked, export, import, backup, and what other systems export."""
