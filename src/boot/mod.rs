//! Process 1: mounts, modules, network, media, supervision, power.
