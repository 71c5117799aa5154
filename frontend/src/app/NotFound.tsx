import { Link } from "@tanstack/react-router";
import { Empty } from "@/components/ui/Empty";
import { Page } from "@/components/ui/Page";

export function NotFound() {
  return (
    <Page title="Not found">
      <Empty title="There is no page at this address" action={<Link to="/trainings">Go to trainings</Link>} />
    </Page>
  );
}
