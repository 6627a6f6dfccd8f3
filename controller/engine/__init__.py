"""The loop of each cluster: it sequences observing, planning and acting, and decides nothing."""
