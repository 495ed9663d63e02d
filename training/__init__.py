"""Self-supervised pre-training (DINOv2) and evaluation. `stages.py` is the table of contents.

model/ ViT, heads, student and EMA teacher · loss/ DINO, iBOT, KoLeo, Sinkhorn-Knopp · data/ shards to crops
loop/ the step, schedules, alarms · runs/ folders, checkpoints, scores · weights/ of others · export/ for others
eval/ protocols, the sets that they ask, snapshots · cost/ FLOPs and memory of a step · params/ what results depend on
distributed.py is the device and rank of a process. Nothing here knows Prefect, FAISS or imagededup.
"""
