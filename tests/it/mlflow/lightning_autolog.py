"""Lightning under mlflow.pytorch.autolog, with checkpoints of it."""

import lightning
import mlflow
import mlflow.pytorch
import torch
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, batch):
        return self.layer(batch)

    def training_step(self, batch, _index):
        loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch, _index):
        self.log("val_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


torch.manual_seed(1)
inputs = torch.randn(128, 4)
data = DataLoader(TensorDataset(inputs, (inputs.sum(dim=1) > 0).long()), batch_size=32)
mlflow.pytorch.autolog(checkpoint=True, checkpoint_monitor="val_loss")
with mlflow.start_run() as run:
    trainer = lightning.Trainer(max_epochs=3, enable_progress_bar=False, logger=False, enable_checkpointing=True)
    trainer.fit(Classifier(), data, data)
    mlflow.flush_async_logging() if hasattr(mlflow, "flush_async_logging") else None
loaded = mlflow.pytorch.load_model(f"runs:/{run.info.run_id}/model")
assert isinstance(loaded, Classifier)
history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
assert len(history) == 3, history
print("run", run.info.run_id)
