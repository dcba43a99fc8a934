"""A PyTorch training as the tutorials have it: a loop that logs, models with steps, a registered version, an alias."""

import mlflow
import mlflow.pytorch
import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.models import infer_signature

torch.manual_seed(1)
inputs = torch.randn(256, 4)
labels = (inputs.sum(dim=1, keepdim=True) > 0).float()
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
loss_of = torch.nn.BCEWithLogitsLoss()

with mlflow.start_run() as run:
    mlflow.log_params({"lr": 0.05, "optimizer": "Adam", "epochs": 20})
    for epoch in range(20):
        optimizer.zero_grad()
        loss = loss_of(model(inputs), labels)
        loss.backward()
        optimizer.step()
        mlflow.log_metric("loss", loss.item(), step=epoch)
        mlflow.log_metrics({"accuracy": ((model(inputs) > 0) == (labels > 0)).float().mean().item()}, step=epoch)
    with torch.no_grad():
        signature = infer_signature(inputs.numpy(), model(inputs).numpy())
    mlflow.pytorch.log_model(
        model, name="net", signature=signature, input_example=inputs[:2].numpy(), registered_model_name="Net"
    )
    checkpoint = mlflow.pytorch.log_model(model, name="checkpoint", step=19, serialization_format="pickle")
    mlflow.log_metric("final", 1.0, step=19, model_id=checkpoint.model_id)
    mlflow.pytorch.log_state_dict(model.state_dict(), artifact_path="states")

client = MlflowClient()
client.set_registered_model_alias("Net", "production", 1)
client.set_model_version_tag("Net", "1", "checked", "yes")
loaded = mlflow.pytorch.load_model("models:/Net@production")
with torch.no_grad():
    assert torch.allclose(loaded(inputs), model(inputs), atol=1e-6)
assert np.allclose(mlflow.pyfunc.load_model("models:/Net/1").predict(inputs.numpy()), model(inputs).detach().numpy(), atol=1e-6)
assert client.get_model_version_by_alias("Net", "production").run_id == run.info.run_id
print("run", run.info.run_id)
