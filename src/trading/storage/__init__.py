"""SQLite: connections, migrations, repositories."""
