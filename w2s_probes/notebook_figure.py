"""A figure that a notebook draws by itself. Importing this module loads matplotlib."""

from io import BytesIO

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """matplotlib's Figure; as the last value of a notebook's cell it is drawn, once, pyplot imported or not.

    A notebook draws a plain Figure by a hook that importing pyplot sets up, and prints its name before that. Where the
    hook is there it goes first, and `_repr_png_` is not asked; pyplot does not know of the figure, and so cannot draw
    it again at the cell's end.

    >>> figure = NotebookFigure(figsize=(2, 1))
    >>> figure._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=100)
        return content.getvalue()
