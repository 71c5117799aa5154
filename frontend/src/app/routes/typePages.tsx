import { TypePage } from "@/features/artifacts/components/TypePage";

export const Models = () => <TypePage name="models" />;
export const Datasets = () => <TypePage name="datasets" />;
export const Activations = () => <TypePage name="activations" />;
export const Saes = () => <TypePage name="saes" />;
