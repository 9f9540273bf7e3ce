"""What `doctor` finds of the audit log and of the channels that tell people."""

from __future__ import annotations

from crews.checks import Check, Level
from crews.config_loader import LoadedConfig
from trading.errors import ConfigurationError, StoreError


def check_audit(loaded: LoadedConfig) -> list[Check]:
    """Reads the whole log. Where no store can be opened, the store's own check says so."""
    from trading.storage.audit_anchor import AuditAnchor
    from trading.storage.audit_check import check_audit_log
    from trading.storage.database import open_database

    storage = loaded.config.storage
    if not storage.path.exists():
        return []
    try:
        connection = open_database(storage, check=False)
        try:
            report = check_audit_log(connection, AuditAnchor(storage.path))
        finally:
            connection.close()
    except StoreError:
        return []
    if report.intact:
        return [Check("audit log", Level.OK, f"{report.entries} entries, intact")]
    detail = f"{report.findings[0].message}; `audit verify` lists what was found"
    return [Check("audit log", Level.FAIL, detail)]


def check_notifications(loaded: LoadedConfig) -> list[Check]:
    """Whether each channel has an address that apprise knows; nothing is sent."""
    from trading.node.apprise_channel import require_address

    environment = loaded.core_environment()
    findings = []
    for channel in loaded.config.monitoring.notifications.channels:
        name = f"notify {channel.name}"
        url = environment.get(channel.url_env)
        if not url:
            detail = f"off: {channel.url_env} is not set"
            findings.append(Check(name, Level.OK, detail))
            continue
        try:
            require_address(channel.url_env, url)
        except ConfigurationError as error:
            findings.append(Check(name, Level.FAIL, str(error)))
        else:
            detail = f"{channel.min_level} and above to the address in {channel.url_env}"
            findings.append(Check(name, Level.OK, detail))
    return findings
