"""The file formats of the original, as bytes and numpy arrays (no torch, no NDArray, no Symbol).

``arrays``       array lists: ``.params``, ``.nd``
``symbol_json``  graphs: ``-symbol.json``
``states``       optimizer states: ``.states``
``recordio``     records and their index: ``.rec``, ``.idx``
``atomic``       saving without ever leaving a damaged file
"""
