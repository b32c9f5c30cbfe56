"""Where the units of a sweep are computed: this process, several of this machine, or a Dask or Ray cluster."""
