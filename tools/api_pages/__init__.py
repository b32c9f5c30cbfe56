"""Makes docs/api, a page a room, from the code as it stands: `make api`."""
