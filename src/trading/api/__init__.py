"""The control API: schemas, app, clients."""
