"""Which students are worth keeping whatever the supervisor's errors look like: `w2s robust`, on weak-train alone."""
