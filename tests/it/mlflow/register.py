"""A script as users of MLflow write it: it trains, logs, registers, and loads back what it registered."""

import mlflow
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, labels = load_iris(return_X_y=True)
client = MlflowClient()

with mlflow.start_run() as run:
    model = LogisticRegression(C=0.5, max_iter=200).fit(features, labels)
    mlflow.log_param("C", 0.5)
    mlflow.log_metric("accuracy", model.score(features, labels))
    info = mlflow.sklearn.log_model(
        model,
        name="classifier",
        signature=infer_signature(features, model.predict(features)),
        input_example=features[:2],
        registered_model_name="Iris",
    )
    mlflow.log_input(mlflow.data.from_numpy(features, name="iris"), context="training")

client.set_registered_model_alias("Iris", "production", 1)
client.update_model_version("Iris", 1, description="the first one")
client.set_model_version_tag("Iris", "1", "checked", "yes")

loaded = mlflow.pyfunc.load_model("models:/Iris@production")
assert (loaded.predict(features) == model.predict(features)).all()
assert (mlflow.sklearn.load_model(info.model_uri).coef_ == model.coef_).all()
logged = mlflow.get_logged_model(info.model_id)
assert logged.source_run_id == run.info.run_id and logged.status == "READY", logged
version = client.get_model_version_by_alias("Iris", "production")
assert (version.version, version.run_id, version.aliases) == ("1", run.info.run_id, ["production"]), version
assert [found.name for found in client.search_registered_models()] == ["Iris"]
assert [output.model_id for output in client.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
print("run", run.info.run_id)
