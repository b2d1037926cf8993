"""The metrics that dashboard, alerts and autoscaling go by, in one place; and what in Prometheus comes from others."""

SERVICE = {
    "ganvas_batch_rows_count",
    "ganvas_batch_rows_sum",
    "ganvas_device_seconds_sum",
    "ganvas_dropped_rows_total",
    "ganvas_failed_batches_total",
    "ganvas_http_request_seconds_bucket",
    "ganvas_http_requests_total",
    "ganvas_queue_rows",
    "ganvas_queue_used_ratio",
    "ganvas_queue_wait_seconds_bucket",
    "ganvas_rejections_total",
}
"""Names that manifests may use; each must be on /metrics of the running service, whose labels they use as well."""

OTHERS = {
    "container_memory_working_set_bytes",  # the kubelet
    "up",  # Prometheus itself
}

ADDED_BY_PROMETHEUS = {"namespace", "pod", "service", "container", "le"}
"""Labels that a target has, and a histogram's own."""
