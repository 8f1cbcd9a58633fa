"""Query engines: one scan selects what is read; one module per engine returns it in native form."""
