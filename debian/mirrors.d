Files here that end in .toml add candidates to those of ../mirrors.toml, or say otherwise of one of the same name:

[[mirror]]
name = "mine"
url = "https://registry.example.lan"

mirrorwatch add URL writes local.toml. An upgrade leaves all of them alone. See mirrors.toml(5).
