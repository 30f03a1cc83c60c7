"""Causal language models of Hugging Face, and where their neurons are."""
