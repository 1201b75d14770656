#!/usr/bin/env bash
# Makes tests/unchanged/runs with a gpugan that was built from c27e202:
#   tests/unchanged/make.sh PATH_OF_GPUGAN
set -euo pipefail
gpugan=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# run NAME ARGUMENTS...: two steps, kept, and two more.
run() {
    local name=$1
    shift
    echo "$name"
    "$gpugan" train --outdir "$scratch/$name" --steps 2 --batch 8 --seed 3 \
        --set train.tick=1 --set train.snap=2 "$@" >"$scratch/log"
    local made
    made=$(echo "$scratch/$name"/*)
    mkdir -p "$here/runs/$name"
    cp "$made/config.toml" "$made/checkpoint-000002.safetensors" "$here/runs/$name/"
    "$gpugan" train --resume "$made" --steps 4 --quiet
    cp "$made/checkpoint-000004.safetensors" "$here/runs/$name/later.safetensors"
    head -n 1 "$scratch/log" >"$here/runs/adapter.txt"
}

set_all() {
    local all=() key
    for key in "$@"; do all+=(--set "$key"); done
    printf '%s\n' "${all[@]}"
}
with() { mapfile -t options < <(set_all "$@"); }

tiny=(model.width=2 model.latent=4)
with "${tiny[@]}"
for preset in dcgan28 lsgan sngan wgan wgan-gp; do
    run "$preset" --preset "$preset" "${options[@]}"
done
with "${tiny[@]}" data.size=16
run dcgan32 --preset dcgan32 "${options[@]}"
with "${tiny[@]}" data.size=32 data.channels=3
run dcgan64 --preset dcgan64 "${options[@]}"
with data.size=8 model.latent=4 'model.hidden_g=[6]' model.maxout_units=3
run mlp --preset mlp "${options[@]}"
with data.size=8 'model.hidden_g=[6]' 'model.hidden_d=[5]'
run toy --preset toy "${options[@]}"
with "${tiny[@]}" train.update=simultaneous loss.penalty=dragan loss.kind=hinge model.norm_d=instance
run simultaneous --preset dcgan28 "${options[@]}"
with "${tiny[@]}" data.size=16 model.architecture=resnet loss.augment=color \
    loss.augment_target=0.6 loss.augment_every=2 loss.augment_images=160
run adaptive --preset sngan "${options[@]}"
with "${tiny[@]}" loss.kind=relativistic model.norm_d=layer loss.penalty=r1 loss.penalty_every=3 \
    loss.pack=2 train.d_pretrain=2 train.d_steps=2 loss.instance_noise=0.1 loss.instance_noise_steps=10
run rare-penalty --preset dcgan28 "${options[@]}"
with "${tiny[@]}" data.stack=3 train.ema_decay=0 train.d_steps_first=1 train.d_steps_boost=3
run stacked --preset dcgan28 "${options[@]}"
with data.size=8 model.latent=4 'model.hidden_g=[6]' model.maxout_units=3 train.update=alternating \
    train.d_steps=2 optimizer.g.kind=rmsprop optimizer.d.kind=adam model.output=tanh
run mlp-alternating --preset mlp "${options[@]}"
