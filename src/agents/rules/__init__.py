"""The built-in rules: one plain function per task, deterministic, without network or clock."""
