"""Fine-tuning: the plainest editor there is, and the baseline of all others."""
