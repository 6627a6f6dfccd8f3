"""Metrics, health, reports and the page, over HTTP."""
