"""The list of metrics that dashboard, alerts and autoscaling may use."""

SERVICE = {
    "ganvas_batch_rows_count",
    "ganvas_batch_rows_sum",
    "ganvas_device_seconds_sum",
    "ganvas_dropped_rows_total",
    "ganvas_failed_batches_total",
    "ganvas_http_held_bytes",
    "ganvas_http_request_seconds_bucket",
    "ganvas_http_requests_total",
    "ganvas_image_memory_bytes",
    "ganvas_queue_rows",
    "ganvas_queue_used_ratio",
    "ganvas_queue_wait_seconds_bucket",
    "ganvas_rejections_total",
}
"""Metrics of the service. Each must be on /metrics of the running service."""

OTHERS = {
    "container_memory_working_set_bytes",  # the kubelet
    "up",  # Prometheus itself
}

ADDED_BY_PROMETHEUS = {"namespace", "pod", "service", "container", "le"}
"""Labels that Prometheus adds to targets, and the label of histograms."""
