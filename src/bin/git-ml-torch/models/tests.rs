//! What networks are made of, and what is told of files that do not fit them.

#![allow(clippy::disallowed_methods, reason = "tests make files in folders of their own")]

use std::fs;
use std::path::{Path, PathBuf};

use git_ml::train::recipe::{Phase, ResnetVariant};
use tch::{Device, Kind, no_grad};

use super::*;

fn resnet18(variant: ResnetVariant) -> ModelConfig {
    ModelConfig::Resnet18(ResnetConfig { variant, weights: None })
}

fn resnet50(variant: ResnetVariant) -> ModelConfig {
    ModelConfig::Resnet50(ResnetConfig { variant, weights: None })
}

fn plain(channels: usize) -> Statistics {
    Statistics { mean: vec![0.0; channels], deviation: vec![1.0; channels] }
}

fn made(
    config: &ModelConfig,
    input: &[i64],
    classes: i64,
    source: Option<&ModelSource>,
) -> Result<(nn::VarStore, Model)> {
    tch::manual_seed(1);
    let store = nn::VarStore::new(Device::Cpu);
    let shape = Shape { input: input.to_vec(), classes };
    let model = Model::new(&store, config, &shape, &plain(1), source)?;
    Ok((store, model))
}

fn images(size: &[i64]) -> Tensor {
    (Tensor::arange(size.iter().product::<i64>(), (Kind::Float, Device::Cpu)).view(size) * 0.37).sin().abs()
}

fn shape_of(store: &nn::VarStore, name: &str) -> Vec<i64> {
    store.variables().get(name).unwrap_or_else(|| panic!("there is no tensor {name}")).size()
}

#[test]
fn resnets_have_as_many_parameters_as_torchvisions_and_their_names() {
    let (small, _) = made(&resnet18(ResnetVariant::Standard), &[3, 224, 224], 1000, None).unwrap();
    let (large, _) = made(&resnet50(ResnetVariant::Standard), &[3, 224, 224], 1000, None).unwrap();
    let count = |store| parameters(store).iter().map(|(_, own)| own.numel()).sum::<usize>();
    assert_eq!((count(&small), count(&large)), (11_689_512, 25_557_032));
    // torchvision counts its steps too: 20 and 53 more. Two are the normalisation in front.
    assert_eq!((small.len(), large.len()), (122 - 20 + 2, 320 - 53 + 2));
    let shapes: [(&str, &[i64], &[i64]); 12] = [
        ("conv1.weight", &[64, 3, 7, 7], &[64, 3, 7, 7]),
        ("bn1.running_mean", &[64], &[64]),
        ("layer1.0.conv1.weight", &[64, 64, 3, 3], &[64, 64, 1, 1]),
        ("layer1.1.conv2.weight", &[64, 64, 3, 3], &[64, 64, 3, 3]),
        ("layer2.0.conv1.weight", &[128, 64, 3, 3], &[128, 256, 1, 1]),
        ("layer2.0.downsample.0.weight", &[128, 64, 1, 1], &[512, 256, 1, 1]),
        ("layer2.0.downsample.1.running_var", &[128], &[512]),
        ("layer3.0.downsample.0.weight", &[256, 128, 1, 1], &[1024, 512, 1, 1]),
        ("layer3.1.bn2.weight", &[256], &[256]),
        ("layer4.0.conv2.weight", &[512, 512, 3, 3], &[512, 512, 3, 3]),
        ("layer4.1.conv1.weight", &[512, 512, 3, 3], &[512, 2048, 1, 1]),
        ("fc.weight", &[1000, 512], &[1000, 2048]),
    ];
    for (name, first, second) in shapes {
        assert_eq!((shape_of(&small, name), shape_of(&large, name)), (first.to_vec(), second.to_vec()), "{name}");
    }
    assert!(!small.variables().contains_key("layer1.0.downsample.0.weight"));
    assert_eq!(shape_of(&large, "layer1.0.downsample.0.weight"), [256, 64, 1, 1]);
    assert_eq!(shape_of(&large, "layer3.5.conv3.weight"), [1024, 256, 1, 1]);
}

#[test]
fn weights_begin_as_torchvision_begins_them() {
    let (store, _) = made(&resnet18(ResnetVariant::Standard), &[3, 32, 32], 10, None).unwrap();
    let variables = store.variables();
    let deviation = variables["layer4.0.conv2.weight"].std(true).double_value(&[]);
    assert!((deviation - (2.0_f64 / (512.0 * 9.0)).sqrt()).abs() < 1e-4, "{deviation}");
    let bound = 1.0 / 512_f64.sqrt();
    let largest = variables["fc.weight"].abs().max().double_value(&[]);
    assert!(largest <= bound && largest > 0.99 * bound, "{largest}");
    assert_eq!(variables["layer2.1.bn2.weight"].min().double_value(&[]), 1.0);
    assert_eq!(variables["bn1.running_var"].max().double_value(&[]), 1.0);
}

#[test]
fn every_variant_takes_its_images() {
    let cases = [
        (resnet18(ResnetVariant::Standard), [3, 65, 40], [64, 3, 7, 7]),
        (resnet18(ResnetVariant::Modified), [1, 8, 8], [64, 1, 3, 3]),
        (resnet18(ResnetVariant::Upsample), [3, 9, 12], [64, 3, 7, 7]),
        (resnet50(ResnetVariant::Modified), [3, 16, 16], [64, 3, 3, 3]),
    ];
    for (config, input, first) in cases {
        let (store, model) = made(&config, &input, 7, None).unwrap();
        assert_eq!(shape_of(&store, "conv1.weight"), first);
        let inputs = images(&[&[2], &input[..]].concat());
        let logits = model.forward(&inputs, Mode { train: true, frozen: 0 });
        assert_eq!(logits.size(), [2, 7], "{config:?}");
        assert!(logits.isfinite().all().int64_value(&[]) == 1, "{config:?}");
    }
    let told = made(&resnet18(ResnetVariant::Standard), &[4], 2, None).err().unwrap().line;
    assert_eq!(told, "a `resnet18` takes images; the data has none");
}

#[test]
fn a_single_image_of_one_pixel_leaves_finite_statistics() {
    let (store, model) = made(&resnet18(ResnetVariant::Standard), &[1, 8, 8], 3, None).unwrap();
    let _ = model.forward(&images(&[1, 1, 8, 8]), Mode { train: true, frozen: 0 });
    for (name, variable) in store.variables() {
        assert!(variable.isfinite().all().int64_value(&[]) == 1, "{name}");
    }
}

#[test]
fn frozen_layers_stay_as_they_are_with_their_statistics() {
    let (store, model) = made(&resnet18(ResnetVariant::Modified), &[1, 8, 8], 3, None).unwrap();
    let phase =
        |freeze, from: Option<&str>| Phase { freeze, unfreeze_from: from.map(str::to_owned), ..Phase::default() };
    let (layers, own) = (model.layers(), parameters(&store));
    let learning = |phase: &Phase| {
        let frozen = unfreeze(&own, &layers, phase).unwrap();
        let variables = store.variables();
        let mut names: Vec<_> =
            variables.into_iter().filter(|(_, variable)| variable.requires_grad()).map(|(name, _)| name).collect();
        names.sort();
        (frozen, names)
    };
    let (frozen, all) = learning(&phase(false, None));
    assert_eq!((frozen, all.len()), (0, 62));
    assert_eq!(learning(&phase(true, None)), (6, vec!["fc.bias".to_owned(), "fc.weight".to_owned()]));
    let (frozen, names) = learning(&phase(false, Some("layer4")));
    assert_eq!(frozen, 5);
    assert!(names.iter().all(|name| name.starts_with("layer4.") || name.starts_with("fc.")), "{names:?}");
    assert_eq!(names.len(), 15 + 2);

    let mean = |name: &str| store.variables()[name].copy();
    let names = ["bn1.running_mean", "layer3.1.bn2.running_mean", "layer4.0.bn1.running_mean"];
    let before = names.map(mean);
    let logits = model.forward(&images(&[4, 1, 8, 8]), Mode { train: true, frozen });
    logits.sum(Kind::Float).backward();
    let same = |index: usize| mean(names[index]) == before[index];
    assert_eq!([same(0), same(1), same(2)], [true, true, false]);
    assert!(!store.variables()["layer3.1.conv1.weight"].grad().defined());
    assert!(store.variables()["layer4.0.conv1.weight"].grad().defined());

    assert_eq!(learning(&phase(false, None)).1, all, "and back");
    let told = unfreeze(&own, &layers, &phase(false, Some("layer5"))).unwrap_err().line;
    assert_eq!(
        told,
        "there is no layer `layer5` to unfreeze from; this model has layer1, layer2, layer3, layer4, conv1, bn1, fc"
    );
}

/// A folder with a safetensors file of a ResNet-18's tensors, as `change` leaves them.
fn weights_file(
    config: &ModelConfig,
    input: &[i64],
    classes: i64,
    change: impl FnOnce(&mut BTreeMap<String, Tensor>),
) -> (tempfile::TempDir, PathBuf, BTreeMap<String, Tensor>) {
    let (store, _) = made(config, input, classes, None).unwrap();
    let mut tensors: BTreeMap<_, _> =
        store.variables().into_iter().filter(|(name, _)| !name.starts_with("normalise.")).collect();
    // Told from what a new model begins with.
    no_grad(|| tensors.values_mut().for_each(|tensor| drop(tensor.g_add_scalar_(0.25))));
    let original = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("w.safetensors");
    let list: Vec<_> = tensors.iter().collect();
    Tensor::write_safetensors(&list, &place).unwrap();
    (folder, place, original)
}

fn with_weights(place: &Path, variant: ResnetVariant, input: &[i64], classes: i64) -> Result<(nn::VarStore, Model)> {
    made(&resnet18(variant), input, classes, Some(&ModelSource::at(place)))
}

#[test]
fn weights_are_taken_by_their_names_whatever_stands_before_them() {
    let change = |tensors: &mut BTreeMap<String, Tensor>| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| {
                let tensor = if name.contains("layer3") { tensor.to_kind(Kind::BFloat16) } else { tensor };
                let tensor = if name.contains("layer2") { tensor.to_kind(Kind::Half) } else { tensor };
                (format!("module.model.{name}"), tensor)
            })
            .collect();
        tensors.insert("module.model.bn1.num_batches_tracked".to_owned(), Tensor::from(7_i64));
    };
    let (_folder, place, original) = weights_file(&resnet18(ResnetVariant::Standard), &[3, 32, 32], 5, change);
    let same = |store: &nn::VarStore, but: &str| {
        let variables = store.variables();
        original.iter().filter(|(name, _)| !name.starts_with(but)).all(|(name, tensor)| {
            assert_eq!(variables[name].kind(), Kind::Float, "{name}");
            variables[name].allclose(tensor, 1e-2, 1e-3, false)
        })
    };
    let (store, _) = with_weights(&place, ResnetVariant::Standard, &[3, 40, 40], 5).unwrap();
    assert!(same(&store, "nothing"));
    assert!(store.variables()["layer1.0.conv1.weight"] == original["layer1.0.conv1.weight"]);
    assert!(store.variables()["conv1.weight"].requires_grad() && !store.variables()["bn1.running_var"].requires_grad());

    let (store, _) = with_weights(&place, ResnetVariant::Upsample, &[3, 8, 8], 9).unwrap();
    assert!(same(&store, "fc."));
    assert_eq!(shape_of(&store, "fc.weight"), [9, 512]);
}

#[test]
fn grey_images_become_three_channels_where_the_weights_have_three() {
    let (_folder, place, _) = weights_file(&resnet18(ResnetVariant::Standard), &[3, 32, 32], 5, |_| {});
    let (store, model) = with_weights(&place, ResnetVariant::Standard, &[1, 32, 32], 5).unwrap();
    assert_eq!(shape_of(&store, "conv1.weight"), [64, 3, 7, 7]);
    let grey = images(&[2, 1, 32, 32]);
    let (_, colour) = with_weights(&place, ResnetVariant::Standard, &[3, 32, 32], 5).unwrap();
    let expected = colour.forward(&grey.repeat([1, 3, 1, 1]), Mode::EVALUATE);
    assert!(model.forward(&grey, Mode::EVALUATE).allclose(&expected, 1e-5, 1e-5, false));
}

#[test]
fn weights_that_do_not_fit_are_told_with_the_first_few_differences() {
    let standard = resnet18(ResnetVariant::Standard);
    let told = |place: &Path, variant| {
        let told = with_weights(place, variant, &[3, 32, 32], 5).err().unwrap().line;
        assert!(!told.contains('\n') && told.len() < 320, "{told}");
        told
    };
    let mut lines = Vec::new();
    let (_folder, place, _) = weights_file(&standard, &[3, 32, 32], 5, |_| {});
    lines.push(told(&place, ResnetVariant::Modified));
    let (_folder, place, _) = weights_file(&resnet50(ResnetVariant::Standard), &[3, 32, 32], 5, |_| {});
    lines.push(told(&place, ResnetVariant::Standard));
    let (_folder, place, _) = weights_file(&standard, &[3, 32, 32], 5, |tensors| {
        let moved = tensors.remove("layer4.1.bn2.running_var").unwrap();
        tensors.insert("layer4.1.bn2.var".to_owned(), moved);
        tensors.insert("layer1.0.bn1.bias".to_owned(), Tensor::zeros([64], (Kind::Int64, Device::Cpu)));
    });
    lines.push(told(&place, ResnetVariant::Standard));

    let (folder, place, _) = weights_file(&standard, &[3, 32, 32], 5, |_| {});
    let whole = fs::read(&place).unwrap();
    let mut longer = whole.clone();
    longer.extend([0; 5]);
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut broken = whole.clone();
    broken[8] = b'[';
    let other = folder.path().join("w.safetensors");
    let cases: [&[u8]; 9] = [
        &whole[..whole.len() - 1],
        &whole[..1000],
        &whole[..3],
        &longer,
        &huge,
        &broken,
        b"PK\x03\x04 and so on",
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 and so on",
        b"",
    ];
    for content in cases {
        fs::write(&other, content).unwrap();
        lines.push(told(&other, ResnetVariant::Standard));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    w.safetensors does not fit a resnet18: conv1.weight is [64, 3, 7, 7], not [64, 3, 3, 3]
    w.safetensors does not fit a resnet18: layer1.0.conv1.weight is [64, 64, 1, 1], not [64, 64, 3, 3]; layer1.1.conv1.weight is [64, 256, 1, 1], not [64, 64, 3, 3]; layer2.0.conv1.weight is [128, 256, 1, 1], not [128, 64, 3, 3]; and 185 more
    w.safetensors does not fit a resnet18: layer1.0.bn1.bias has numbers of type I64; layer4.1.bn2.running_var is missing; layer4.1.bn2.var is not a part of it
    w.safetensors is truncated: its header promises 44754708 bytes of tensors, there are 44754707
    w.safetensors is truncated: its header has 9016 bytes, the file 1000
    w.safetensors is truncated: it has 3 bytes
    w.safetensors is too long: its header promises 44754708 bytes of tensors, there are 44754713
    w.safetensors is not a safetensors file: it does not begin with the size of a header
    w.safetensors is not a safetensors file: its header is not valid
    w.safetensors is a file of PyTorch's (.pth or .pt), not a safetensors file
    w.safetensors is a pickle of PyTorch's (.pth), not a safetensors file
    w.safetensors is truncated: it has 0 bytes
    ");
}

/// `scripts/compare-torchvision` makes the files and runs this.
#[test]
fn torchvisions_logits_are_ours() {
    let Some(folder) = std::env::var_os("GIT_ML_TORCHVISION_WEIGHTS").map(PathBuf::from) else {
        println!("skipped: `scripts/compare-torchvision` makes weights and says where in GIT_ML_TORCHVISION_WEIGHTS");
        return;
    };
    let variants = [
        ("standard", ResnetVariant::Standard),
        ("upsample", ResnetVariant::Upsample),
        ("modified", ResnetVariant::Modified),
    ];
    for (name, config) in [("resnet18", resnet18 as fn(_) -> _), ("resnet50", resnet50)] {
        for (word, variant) in variants {
            let place = folder.join(format!("{name}-{word}"));
            let expected = Tensor::read_safetensors(place.with_extension("expected")).unwrap();
            let expected: BTreeMap<_, _> = expected.into_iter().collect();
            let source = ModelSource::at(&place.with_extension("safetensors"));
            let size = expected["images"].size();
            let (store, model) = made(&config(variant), &size[1..], 1000, Some(&source)).unwrap();
            let difference = |ours: &Tensor, theirs: &str| (ours - &expected[theirs]).abs().max().double_value(&[]);
            let evaluated = no_grad(|| model.forward(&expected["images"], Mode::EVALUATE));
            let trained = no_grad(|| model.forward(&expected["images"], Mode { train: true, frozen: 0 }));
            let differences = [
                difference(&evaluated, "evaluated"),
                difference(&trained, "trained"),
                difference(&store.variables()["bn1.running_mean"], "bn1.running_mean"),
            ];
            let largest = expected["evaluated"].abs().max().double_value(&[]);
            let [evaluation, training, statistics] = differences;
            println!(
                "{name} {word}: logits up to {largest:.2}; they differ by {evaluation:.1e} in evaluation, by \
                 {training:.1e} in training, statistics by {statistics:.1e}"
            );
            assert!(differences.iter().all(|difference| *difference <= 1e-4), "{name} {word}");
        }
    }
}

fn module(name: &str) -> ModelSource {
    ModelSource::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch/modules").join(name))
}

fn torchscript(name: &str, input: &[i64], classes: i64) -> Result<(nn::VarStore, Model)> {
    made(&ModelConfig::Torchscript { file: name.to_owned() }, input, classes, Some(&module(name)))
}

#[test]
fn a_module_of_pythons_has_its_tensors_under_their_names_and_learns() {
    for name in ["scripted.pt", "traced.pt"] {
        let (store, model) = torchscript(name, &[1, 8, 8], 3).unwrap();
        let mut names: Vec<_> = store.variables().into_keys().filter(|name| name.starts_with("body.1.")).collect();
        names.sort();
        let own = ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"];
        assert_eq!(names, own.map(|name| format!("body.1.{name}")));
        assert_eq!(parameters(&store).len(), 6);
        assert_eq!(model.layers(), ["body", "head"]);

        let (inputs, labels) = (images(&[9, 1, 8, 8]), Tensor::arange(9, (Kind::Int64, Device::Cpu)).remainder(3));
        let loss = |mode| model.forward(&inputs, mode).cross_entropy_for_logits(&labels);
        let first = no_grad(|| loss(Mode::EVALUATE)).double_value(&[]);
        for _ in 0..50 {
            parameters(&store).iter_mut().for_each(|(_, own)| own.zero_grad());
            loss(Mode { train: true, frozen: 0 }).backward();
            no_grad(|| parameters(&store).iter_mut().for_each(|(_, own)| drop(own.g_sub_(&(own.grad() * 0.1)))));
        }
        let last = no_grad(|| loss(Mode::EVALUATE)).double_value(&[]);
        assert!(last < first, "{name}: {last} {first}");
    }
}

#[test]
fn the_frozen_part_of_a_module_keeps_its_statistics() {
    let (store, model) = torchscript("scripted.pt", &[1, 8, 8], 3).unwrap();
    let mean = || store.variables()["body.1.running_mean"].copy();
    let before = mean();
    let _ = model.forward(&images(&[4, 1, 8, 8]), Mode { train: true, frozen: 1 });
    assert!(mean() == before);
    let _ = model.forward(&images(&[4, 1, 8, 8]), Mode { train: true, frozen: 0 });
    assert!(mean() != before);
}

#[test]
fn a_module_is_saved_with_its_parameters_and_its_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model.pt");
    let store = nn::VarStore::new(Device::Cpu);
    let shape = Shape { input: vec![1, 8, 8], classes: 3 };
    let config = ModelConfig::Torchscript { file: "scripted.pt".to_owned() };
    let statistics = Statistics { mean: vec![0.3], deviation: vec![0.2] };
    let model = Model::new(&store, &config, &shape, &statistics, Some(&module("scripted.pt"))).unwrap();
    let inputs = images(&[5, 1, 8, 8]);
    let _ = model.forward(&inputs, Mode { train: true, frozen: 0 });
    no_grad(|| parameters(&store).iter_mut().for_each(|(_, own)| drop(own.g_mul_scalar_(1.5))));
    assert!(model.save(&store, &place).unwrap());
    let written = tch::CModule::load(&place).unwrap().forward_ts(&[&inputs]).unwrap();
    assert!(written == model.forward(&inputs, Mode::EVALUATE));
    let first = fs::read(&place).unwrap();
    assert!(model.save(&store, &place).unwrap());
    assert!(fs::read(&place).unwrap() == first, "the same module is the same bytes");
}

#[test]
fn modules_that_cannot_be_trained_are_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("net.pt");
    fs::write(&place, "no module").unwrap();
    let config = ModelConfig::Torchscript { file: "net.pt".to_owned() };
    let failures = [
        torchscript("frozen.pt", &[1, 8, 8], 3),
        torchscript("traced-in-training.pt", &[1, 8, 8], 3),
        torchscript("scripted.pt", &[1, 8, 8], 10),
        torchscript("scripted.pt", &[3, 8, 8], 3),
        torchscript("scripted.pt", &[1, 10, 10], 3),
        torchscript("scripted.pt", &[7], 3),
        made(&config, &[1, 8, 8], 3, Some(&ModelSource::at(&place))),
    ];
    let lines = failures.map(|failure| failure.err().map_or_else(|| "no failure".to_owned(), |failure| failure.line));
    insta::assert_snapshot!(lines.join("\n"), @"
    frozen.pt has no parameters to train: `torch.jit.freeze` makes constants of them
    traced-in-training.pt gives other logits for an example when others are beside it, in evaluation mode
    scripted.pt gives [2, 3] where the data has 10 classes: for 2 examples of [1, 8, 8] it has to be [2, 10]
    scripted.pt: Given groups=1, weight of size [4, 1, 3, 3], expected input[2, 3, 8, 8] to have 1 channels, but got 3 channels instead (for 2 examples of [3, 8, 8])
    scripted.pt: mat1 and mat2 shapes cannot be multiplied (2x100 and 64x3) (for 2 examples of [1, 10, 10])
    scripted.pt: Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2, 7] (for 2 examples of [7])
    net.pt is not a TorchScript module: PytorchStreamReader failed reading zip archive: not a ZIP archive
    ");
}
