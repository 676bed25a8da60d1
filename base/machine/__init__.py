"""What this process finds around it: processors, memory, disks, standard streams. Imports nothing else of ours."""
