"""MEMLA: masked low-rank editors on knowledge neurons, specific to a language and shared."""
