"""What quantization does to accuracy, on real models and data: ``python -m accuracy``."""
