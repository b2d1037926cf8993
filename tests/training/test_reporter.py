from training.reporter import RateWatch, busy_warning


def test_busy_machine_is_named_at_the_start_of_a_run() -> None:
    assert busy_warning(2.9, cpus=2, threads=2) is None  # this program itself adds up to 1
    warning = busy_warning(12.4, cpus=2, threads=2)
    assert warning is not None
    assert warning.startswith("Other programs use the CPU (load 12 on 2 CPUs).")
    assert "--threads 1" in warning
    assert "--threads" not in str(busy_warning(12.4, cpus=1, threads=1))


def test_collapsed_rate_is_named_once() -> None:
    watch = RateWatch()
    assert watch.judge(450, 30) is None
    assert watch.judge(12, 10) is None  # not yet for 20 s
    assert "from 450 to 12 images/s" in str(watch.judge(12, 15))
    assert watch.judge(12, 100) is None
