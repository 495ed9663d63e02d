from flows.report.run.curves import KNN, draw


def test_how_many_images_knn_asks_is_no_line_of_its_chart():
    rows = [{"step": step, "knn_top1": 0.1 + step / 100, "knn_queries": 112} for step in range(1, 9)]
    (shown,) = draw(rows, (KNN,))
    assert "knn_top1" in str(shown["chart"])
    assert "knn_queries" not in str(shown["chart"])
