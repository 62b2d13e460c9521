"""The log view's parts: lines that are kept, the widget that draws them, what feeds it."""
