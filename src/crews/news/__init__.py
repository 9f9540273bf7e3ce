"""The news process: sources, pipeline and, where a key is set, a model's view of the headlines."""
