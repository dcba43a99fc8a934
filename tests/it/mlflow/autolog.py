"""scikit-learn with autologging and system metrics."""

import time

import mlflow
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

mlflow.set_experiment("forests")
mlflow.autolog()
mlflow.set_system_metrics_sampling_interval(1)
mlflow.enable_system_metrics_logging()

features, labels = load_iris(return_X_y=True, as_frame=True)
with mlflow.start_run(run_name="forest") as run:
    search = GridSearchCV(RandomForestClassifier(n_estimators=5, random_state=0), {"max_depth": [1, 2]}, cv=2)
    search.fit(features, labels)
    score = search.score(features, labels)
    time.sleep(3)

logged = mlflow.get_run(run.info.run_id)
assert logged.data.params["best_max_depth"], logged.data.params
assert any(name.startswith("system/") for name in logged.data.metrics), logged.data.metrics
children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'")
assert len(children) == 2, children
[dataset] = [used.dataset for used in logged.inputs.dataset_inputs][:1]
assert dataset.name and dataset.digest, dataset
models = mlflow.search_logged_models(filter_string=f"source_run_id = '{run.info.run_id}'", output_format="list")
assert models, "autologging logs the model"
assert (mlflow.sklearn.load_model(models[0].model_uri).predict(features) == search.best_estimator_.predict(features)).all()
print("run", run.info.run_id)
