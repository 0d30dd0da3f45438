"""What runs when: queues, gathering of requests, workers, fairness over models."""
