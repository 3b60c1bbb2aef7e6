"""What a deployment runs elsewhere, started on this machine: weights, llama.cpp servers, the whole platform, the demo."""
