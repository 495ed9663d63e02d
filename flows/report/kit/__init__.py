"""What every page is made of: charts.py (SVG), pages.py (templates), thumbnails.py, reason_text.py, arrays.py."""
