"""What of this project meets a GPU, run on one: numbers beside the processor's, speed beside what the card can do."""
