"""Fine-tuning of a language model as a classifier: its loop, updates, resumable folder and several processes."""
