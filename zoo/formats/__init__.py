"""What is in files of weights: safetensors checkpoints, GGUF files, and how the one becomes the other.

Read by the export that writes such files and by the verification that checks them; neither knows the other.
"""
