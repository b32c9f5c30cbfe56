"""Tests of analyses/forecasts."""
