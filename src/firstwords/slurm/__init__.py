"""Batch jobs on a Slurm cluster: from a site file to a script, its checks, jobs and progress."""
