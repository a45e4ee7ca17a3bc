"""Recommendations over HTTP, and one page to try them on; what is above the page's door needs the extra `serve`."""
