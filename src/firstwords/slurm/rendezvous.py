"""Connect all processes of a job once before training: python -m firstwords.slurm.rendezvous.

torchrun starts it. A network that blocks traffic between nodes fails within two minutes with an
error that names it, instead of hanging in the first all-reduce of training.
"""

import os
import socket
import sys
import time
from datetime import timedelta

TIMEOUT_SECONDS = 120.0


def main() -> None:
    """Run one all-reduce over all processes, check its sum and print how many nodes took part."""
    import torch
    import torch.distributed as dist

    start, cuda = time.monotonic(), torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(seconds=TIMEOUT_SECONDS))
    rank, world_size = dist.get_rank(), dist.get_world_size()
    total = torch.tensor([rank + 1.0], device=device)
    dist.all_reduce(total)
    hosts: list[str] = [""] * world_size
    dist.all_gather_object(hosts, os.environ.get("SLURMD_NODENAME", socket.gethostname()))
    dist.destroy_process_group()
    if total.item() != world_size * (world_size + 1) / 2:
        sys.exit(f"rank {rank}: all-reduce over {world_size} processes gave {total.item():g}")
    if rank == 0:
        n_nodes = len(set(hosts))
        seconds = time.monotonic() - start
        nodes = "node" if n_nodes == 1 else "nodes"
        print(f"{world_size} processes on {n_nodes} {nodes} are connected ({seconds:.1f} s)")


if __name__ == "__main__":
    main()
