//! What the machine is: inventory, root device hints, steps.
