"""What is stored of runs: plans, the cluster's state and host locks."""
