"""What our flows need of a Prefect server, whoever starts it: `dinoflow serve`, systemd, a container.

The server itself takes these in before Prefect reads its settings, so no file that starts one has to repeat them; what
the environment says already stays.
"""

import os

RETENTION_DAYS = 90
"""How long a finished flow run stays on the pages, with its task runs, logs and artifacts. Datasets, runs and reports
are in the workspace, and no part of it."""
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": "",
    "PREFECT_SERVER_UI_API_URL": "/api",  # of the page's own origin, whatever name it was opened by
    # Who holds a slot of a limit is known still after a restart: in memory, a lost holder would block it for good.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # A task run is three events. Written one by one, as by default, a stage of many parts overflows the queue in memory
    # and the pages show it running for ever; so they are written in batches.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
    # Events go after 7 days, as by default; flow runs would stay for ever.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RETENTION_DAYS * 24 * 3600),
}


def take_settings(host: str, port: int) -> None:
    """Put into this process's environment what it does not say already: before Prefect is imported."""
    os.environ |= {"PREFECT_SERVER_API_HOST": host, "PREFECT_SERVER_API_PORT": str(port)}
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
