// What llama.cpp allocates on the CPU, for check_vram_archs.py. Compiled against the reference's sources and libraries.
//   allocations make FOLDER KIND         headers of llama.cpp's own small test models, one per architecture; the files
//                                        are sparse: no weights are needed. KIND: full, wide (a larger vocabulary), lean
//                                        (tied embeddings, no biases, fewer KV heads, more and smaller experts)
//   allocations measure FILE...          one JSON line per file and set of options
// A child process per model: llama.cpp aborts on what it cannot build.
#define main archs_main
#include "tests/test-llama-archs.cpp"
#undef main

#include "src/llama-ext.h"
#include "src/llama-model.h"

#include <filesystem>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace {

struct option_set {
    uint32_t ctx, ubatch, batch, seqs;
    bool unified, flash;
    ggml_type type;
    bool swa_full;
    uint32_t outputs; // 0: of every token
};

constexpr option_set sets[] = {
    {4096, 512, 2048, 1, false, true, GGML_TYPE_F16, false, 0},
    {4096, 512, 2048, 1, false, false, GGML_TYPE_F16, false, 0},
    {8192, 128, 2048, 4, false, true, GGML_TYPE_F16, false, 0},
    {8192, 512, 2048, 4, true, true, GGML_TYPE_F16, false, 0},
    {4096, 512, 2048, 1, false, true, GGML_TYPE_Q8_0, false, 0},
    {4096, 256, 1024, 4, false, false, GGML_TYPE_F16, false, 0},
    {8192, 512, 2048, 4, true, true, GGML_TYPE_F16, false, 4},
    {16384, 2048, 2048, 1, false, true, GGML_TYPE_F16, false, 0},
    {4096, 512, 2048, 2, false, true, GGML_TYPE_F16, true, 0},
};

void errors_only(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

void in_child(const std::string & what, const std::function<bool()> & work) {
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        bool fine = false;
        try {
            fine = work();
        } catch (const std::exception & e) {
            fprintf(stderr, "%s\n", e.what());
        }
        fflush(stdout);
        _exit(fine ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    if (status) fprintf(stderr, "%s: llama.cpp cannot do it\n", what.c_str());
}

llama_model_params without_memory() {
    llama_model_params p = llama_model_default_params();
    p.no_alloc = true;
    p.load_mode = LLAMA_LOAD_MODE_NONE;
    p.use_extra_bufts = false;
    p.progress_callback = silent_model_load_progress;
    return p;
}

// ---- make ----

// Factors of NVFP4 tensors (.scale, .input_scale) are left out: files of other types have none.
bool is_factor(const std::string & name) {
    return name.size() > 6 && name.compare(name.size() - 6, 6, ".scale") == 0;
}

bool is_optional(const std::string & name) {
    return name == "output.weight" || (name.size() > 5 && name.compare(name.size() - 5, 5, ".bias") == 0);
}

void save(gguf_context * meta, const llama_model & model, const std::string & path, bool lean) {
    gguf_context_ptr out(gguf_init_empty());
    gguf_set_kv(out.get(), meta);
    for (const auto & [name, tensor] : model.tensors_by_name)
        if (!is_factor(name) && !(lean && is_optional(name)) && gguf_find_tensor(out.get(), name.c_str()) < 0)
            gguf_add_tensor(out.get(), tensor);
    gguf_write_to_file(out.get(), path.c_str(), true);
    size_t end = 0;
    for (int64_t i = 0; i < gguf_get_n_tensors(out.get()); i++)
        end = std::max(end, gguf_get_tensor_offset(out.get(), i) + GGML_PAD(gguf_get_tensor_size(out.get(), i), 32));
    std::filesystem::resize_file(path, gguf_get_meta_size(out.get()) + end);
}

// Change a number that the model has already.
void change(gguf_context * meta, const std::string & key, uint32_t value) {
    const int64_t id = gguf_find_key(meta, key.c_str());
    if (id >= 0 && gguf_get_kv_type(meta, id) == GGUF_TYPE_UINT32) gguf_set_val_u32(meta, key.c_str(), value);
}

bool make(llm_arch arch, bool moe, const std::string & kind, const std::string & path) {
    gguf_context_ptr meta = get_gguf_ctx(arch, moe);
    const std::string prefix = llm_arch_name(arch) + std::string(".");
    const bool lean = kind == "lean";
    gguf_set_val_str(meta.get(), "tokenizer.ggml.model", "none");
    gguf_remove_key(meta.get(), "tokenizer.ggml.tokens");
    gguf_remove_key(meta.get(), "tokenizer.ggml.scores");
    gguf_set_val_u32(meta.get(), (prefix + "vocab_size").c_str(), kind == "full" ? 128 : 8192);
    gguf_set_val_u32(meta.get(), "tokenizer.ggml.token_type_count", 2);
    if (lean) {
        change(meta.get(), prefix + "attention.head_count_kv", 1);
        change(meta.get(), prefix + "expert_count", 16);
        change(meta.get(), prefix + "expert_used_count", 4);
        change(meta.get(), prefix + "expert_feed_forward_length", 128);
    }
    tensor_data_params unused = {1, 0.1f};
    llama_model_ptr model(llama_model_init_from_user(meta.get(), set_tensor_data, &unused, without_memory()));
    if (!model) return false;
    save(meta.get(), *model, path, lean);
    if (lean && !llama_model_ptr(llama_model_load_from_file(path.c_str(), without_memory())))
        save(meta.get(), *model, path, false);
    return true;
}

void make_all(const std::string & folder, const std::string & kind) {
    for (const llm_arch & arch : llm_arch_all())
        for (bool moe : {false, true}) {
            if (arch == LLM_ARCH_UNKNOWN || (moe ? !moe_implemented(arch) : moe_mandatory(arch))) continue;
            const std::string path = folder + "/" + llm_arch_name(arch) + (moe ? "+experts-" : "-") + kind + ".gguf";
            in_child(path, [&] { return make(arch, moe, kind, path); });
        }
}

// ---- measure ----

void measure_set(const char * path, llama_model * model, const option_set & s) {
    llama_context_params p = llama_context_default_params();
    p.n_ctx = s.ctx, p.n_ubatch = s.ubatch, p.n_batch = s.batch, p.n_seq_max = s.seqs;
    p.kv_unified = s.unified, p.swa_full = s.swa_full, p.n_outputs_max = s.outputs;
    p.flash_attn_type = s.flash ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.type_k = p.type_v = s.type;
    llama_context_ptr context(llama_init_from_model(model, p));
    if (!context) return;
    llama_memory_breakdown_data sum;
    for (const auto & [type, bytes] : llama_get_memory_breakdown(context.get()))
        sum.model += bytes.model, sum.context += bytes.context, sum.compute += bytes.compute;
    printf("{\"file\": \"%s\", \"ctx\": %u, \"ubatch\": %u, \"batch\": %u, \"seqs\": %u, \"unified\": %s, \"flash\": %s, "
           "\"type\": \"%s\", \"swa_full\": %s, \"outputs\": %u, \"weights\": %zu, \"kv_cache\": %zu, \"compute\": %zu}\n",
           path, s.ctx, s.ubatch, s.batch, s.seqs, s.unified ? "true" : "false", s.flash ? "true" : "false",
           ggml_type_name(s.type), s.swa_full ? "true" : "false", s.outputs, sum.model, sum.context, sum.compute);
}

bool measure(const char * path) {
    llama_model_ptr model(llama_model_load_from_file(path, without_memory()));
    if (!model) return false;
    for (const option_set & s : sets) measure_set(path, model.get(), s);
    return true;
}

} // namespace

int main(int argc, char ** argv) {
    llama_log_set(errors_only, nullptr);
    llama_backend_init();
    if (argc == 4 && !strcmp(argv[1], "make"))
        make_all(argv[2], argv[3]);
    else
        for (int i = 2; i < argc; i++) in_child(argv[i], [&] { return measure(argv[i]); });
    return 0;
}
