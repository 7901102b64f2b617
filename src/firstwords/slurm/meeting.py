"""All processes of a job meet once, before training: python -m firstwords.slurm.meeting.

Started by torchrun. A network that lets nothing through shows itself here within two minutes and by
name, instead of as a silence in the first step of training.
"""

import os
import socket
import sys
import time
from datetime import timedelta

PATIENCE = 120.0  # seconds


def main() -> None:
    import torch
    import torch.distributed as dist

    start, cuda = time.monotonic(), torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(seconds=PATIENCE))
    rank, world = dist.get_rank(), dist.get_world_size()
    total = torch.tensor([rank + 1.0], device=device)
    dist.all_reduce(total)
    hosts: list[str] = [""] * world
    dist.all_gather_object(hosts, os.environ.get("SLURMD_NODENAME", socket.gethostname()))
    dist.destroy_process_group()
    if total.item() != world * (world + 1) / 2:
        sys.exit(f"process {rank}: a sum over {world} processes came out as {total.item():g}")
    if rank == 0:
        nodes = len(set(hosts))
        took = time.monotonic() - start
        print(f"{world} processes on {nodes} node{'s' * (nodes > 1)} have met ({took:.1f} s)")


if __name__ == "__main__":
    main()
