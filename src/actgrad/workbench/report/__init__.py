"""`actgrad report`: an activation, or a whole comparison, as one page that needs no network."""
